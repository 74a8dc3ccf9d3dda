"""The routes of the gateway, a module for each thing that they are about."""
