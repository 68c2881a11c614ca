"""What is asked: a table of cases for each system.

Must not be here: how requests are sent (`load`), what is stored (`corpus`), which system has which table (`systems`).
"""
