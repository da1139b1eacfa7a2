module m

go 1.24

require example.com/neither v1.0.0
