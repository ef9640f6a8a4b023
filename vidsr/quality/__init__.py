"""How good a picture is: the protocol that super-resolution papers use."""
