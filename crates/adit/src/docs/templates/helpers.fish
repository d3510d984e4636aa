function @F@_interfaces
    string split -n ' ' -- (@PROGRAM@ show interfaces 2>/dev/null)
end
