"""One module for each agent that is measured, all with the functions of ``protocol.Agent``."""
