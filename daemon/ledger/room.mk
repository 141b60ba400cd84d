# daemon/ledger: sources, programs and tests of this room.
