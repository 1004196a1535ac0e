"""What every noun uses: netlink, columns, listings, options, output. Nothing here knows a noun."""
