# daemon/tls: sources, programs and tests of this room.
