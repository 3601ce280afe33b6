"""The parts of export_model.py. `arguments`, `image_input` and `directory` need no torch; the others do."""


class ExportError(Exception):
    """What was asked for cannot be done; the message says the rule and what broke it."""
