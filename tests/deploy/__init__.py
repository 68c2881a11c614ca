"""How the gateway is run elsewhere: image, compose file, unit and proxy, tried as far as this machine can."""
