# fish loads this when netinspect is first completed: the script itself is of the release that is installed.
netinspect completion fish | source
