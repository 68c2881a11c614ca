from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core import epochs

if TYPE_CHECKING:
    from gateway.core import Store


async def test_a_database_has_an_epoch_and_each_renewal_begins_another(store: Store) -> None:
    async def read() -> str:
        async with store.read() as reads:
            return await reads.read_epoch()

    first = await read()
    begun = [await epochs.renew(store) for _ in range(3)]

    assert len({first, *begun}) == 4
    assert "" not in {first, *begun}
    assert (await read()).split(" ")[0] == begun[-1]
