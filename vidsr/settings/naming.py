"""What a setting is called by those who set it."""


def option_name(field: str) -> str:
    """The name of a field on the command line, behind "--", and in a file of cameras: max-delay of max_delay_s."""
    return field.removesuffix("_s").replace("_", "-")
