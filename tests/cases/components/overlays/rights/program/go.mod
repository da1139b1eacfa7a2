module m

go 1.24

require example.com/rights v1.0.0
