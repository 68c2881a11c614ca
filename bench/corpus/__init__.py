"""What is stored before anything is measured: threads and messages as objects of the API.

Must not be here: databases (`systems.databases`), requests (`cases`).
"""
