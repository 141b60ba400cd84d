# vault: the keys' part (no database, no cards), which the process and its tests link as LIB_KEYS.
