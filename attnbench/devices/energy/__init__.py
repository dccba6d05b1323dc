"""Counters of energy that hardware keeps; nothing is modelled."""
