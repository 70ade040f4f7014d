// Package money counts in cents.
package money

import (
	"fmt"
	"strconv"
	"strings"
)

// Cents is an amount in hundredths of the currency.
type Cents int64

// Parse reads an amount written as "12.34".
func Parse(s string) (Cents, error) {
	whole, fraction, ok := strings.Cut(s, ".")
	if !ok || len(fraction) != 2 {
		return 0, fmt.Errorf("amount %q: want two decimals", s)
	}
	n, err := strconv.ParseUint(whole+fraction, 10, 62)
	if err != nil {
		return 0, fmt.Errorf("amount %q: %w", s, err)
	}
	return Cents(n), nil
}

// Share is percent of c, rounded down.
func (c Cents) Share(percent int64) Cents { return c * Cents(percent) / 100 }

func (c Cents) String() string {
	sign := ""
	if c < 0 {
		sign, c = "-", -c
	}
	return fmt.Sprintf("%s%d.%02d", sign, c/100, c%100)
}
