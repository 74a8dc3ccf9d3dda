"""Installing hooks: entries in the settings files of coding agents, put in and taken out again to the byte.

json_text  a JSON file as text, of which a part is added or removed and the rest stays as it is
entries    which hooks a client gets
places     where a client's settings are
installer  put them in, take them out, show the difference
checks     what `swarm hooks doctor` looks at
"""
