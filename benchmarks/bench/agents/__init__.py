"""The measured agents: one module each, with the functions of ``protocol.Agent``."""
