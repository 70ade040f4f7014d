// Package cart holds what a customer is about to buy.
package cart

import (
	"fmt"

	"example.com/shop/pkg/catalog"
	"example.com/shop/pkg/money"
)

// Cart counts items by SKU; the zero value is an empty cart.
type Cart struct {
	quantities map[string]int
	total      money.Cents
}

// Add puts n items of sku into the cart.
func (c *Cart) Add(sku string, n int) error {
	if n < 1 {
		return fmt.Errorf("%d of %q: want at least one", n, sku)
	}
	item, err := catalog.Find(sku)
	if err != nil {
		return err
	}
	if c.quantities == nil {
		c.quantities = map[string]int{}
	}
	c.quantities[sku] += n
	c.total += item.Price * money.Cents(n)
	return nil
}

// Len is the number of items.
func (c *Cart) Len() int {
	n := 0
	for _, quantity := range c.quantities {
		n += quantity
	}
	return n
}

// Total is the sum of the items' prices.
func (c *Cart) Total() money.Cents { return c.total }
