"""The program: command line, settings, the demo's simulated providers; wires the other packages together."""
