"""What every noun uses: netlink, columns, listings, options, output. Nothing here depends on a noun."""
