"""Object types of the content of messages: texts with annotations, images, refusals, and attachments.

Must not be here: messages and threads (`types`), inputs (`inputs`).
"""

from typing import Annotated, Any

import strawberry

from gateway.domain import message


def is_a(kind: type[Any]) -> Any:
    """Make the `is_type_of` of a type with values of a domain class."""
    return classmethod(lambda _cls, value, _info: isinstance(value, kind))


@strawberry.type(description="A citation of a file in a text.")
class FileCitation:
    """`domain.message.FileCitation`."""

    text: str = strawberry.field(description="The citation marker in the text.")
    start_index: int | None = strawberry.field(
        description="The start of the marker, in characters from 0; null if unknown."
    )
    end_index: int | None = strawberry.field(
        description="The end of the marker (exclusive), in characters from 0; null if unknown."
    )
    file_id: str = strawberry.field(description="The ID of the cited file.")
    quote: str | None = strawberry.field(description="The quoted passage of the file; only in older messages.")

    is_type_of = is_a(message.FileCitation)


@strawberry.type(description="A reference in a text to a generated file.")
class FilePath:
    """`domain.message.FilePath`."""

    text: str = strawberry.field(description="The path of the file in the text.")
    start_index: int | None = strawberry.field(
        description="The start of the path, in characters from 0; null if unknown."
    )
    end_index: int | None = strawberry.field(
        description="The end of the path (exclusive), in characters from 0; null if unknown."
    )
    file_id: str = strawberry.field(description="The ID of the generated file.")

    is_type_of = is_a(message.FilePath)


@strawberry.type(description="A citation of a web page in a text.")
class UrlCitation:
    """`domain.message.UrlCitation`."""

    text: str = strawberry.field(description="The citation marker in the text.")
    start_index: int | None = strawberry.field(
        description="The start of the marker, in characters from 0; null if unknown."
    )
    end_index: int | None = strawberry.field(
        description="The end of the marker (exclusive), in characters from 0; null if unknown."
    )
    url: str = strawberry.field(description="The URL of the page.")
    title: str | None = strawberry.field(description="The title of the page; null if unknown.")

    is_type_of = is_a(message.UrlCitation)


Annotation = Annotated[
    FileCitation | FilePath | UrlCitation,
    strawberry.union("Annotation", description="A citation or a file reference in a text."),
]


@strawberry.type(description="A text with its annotations.")
class Text:
    """`domain.message.Text`."""

    value: str = strawberry.field(description="The text.")
    annotations: list[Annotation] = strawberry.field(
        description="Citations and file references, in the order of the text."
    )


@strawberry.type(description="A text part of a message.")
class TextContent:
    """`domain.message.TextContent`."""

    type: str = strawberry.field(description="Always `text`.")
    text: Text = strawberry.field(description="The text and its annotations.")

    is_type_of = is_a(message.TextContent)


@strawberry.type(description="An uploaded image.")
class ImageFile:
    """`domain.message.ImageFile`."""

    file_id: str = strawberry.field(description="The ID of the uploaded file.")
    detail: str = strawberry.field(description="The level of detail for the model: `auto`, `low` or `high`.")


@strawberry.type(description="An image part of a message: an uploaded file.")
class ImageFileContent:
    """`domain.message.ImageFileContent`."""

    type: str = strawberry.field(description="Always `image_file`.")
    image_file: ImageFile = strawberry.field(description="The image.")

    is_type_of = is_a(message.ImageFileContent)


@strawberry.type(description="An image at a URL.")
class ImageUrl:
    """`domain.message.ImageUrl`."""

    url: str = strawberry.field(description="The URL of the image.")
    detail: str = strawberry.field(description="The level of detail for the model: `auto`, `low` or `high`.")


@strawberry.type(description="An image part of a message: a URL.")
class ImageUrlContent:
    """`domain.message.ImageUrlContent`."""

    type: str = strawberry.field(description="Always `image_url`.")
    image_url: ImageUrl = strawberry.field(description="The image.")

    is_type_of = is_a(message.ImageUrlContent)


@strawberry.type(description="A part of a message that contains a refusal of the model to answer.")
class RefusalContent:
    """`domain.message.RefusalContent`."""

    type: str = strawberry.field(description="Always `refusal`.")
    refusal: str = strawberry.field(description="The text of the refusal.")

    is_type_of = is_a(message.RefusalContent)


ContentPart = Annotated[
    TextContent | ImageFileContent | ImageUrlContent | RefusalContent,
    strawberry.union("ContentPart", description="A part of a message's content."),
]


@strawberry.type(description="A file attached to a message.")
class Attachment:
    """`domain.message.Attachment`."""

    file_id: str | None = strawberry.field(
        description="The ID of the file; null for a file that is not uploaded through the API."
    )
    tools: list[str] = strawberry.field(
        description="The tools that can use the file: `code_interpreter`, `file_search` or both."
    )
