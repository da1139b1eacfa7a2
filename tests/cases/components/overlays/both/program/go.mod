module m

go 1.24

require example.com/both v1.0.0
