// Package pricing works out what a cart costs.
package pricing

import (
	"example.com/shop/pkg/cart"
	"example.com/shop/pkg/money"
)

const (
	taxPercent      = 20
	freeShippingMin = money.Cents(2500)
	shippingCost    = money.Cents(390)
)

// Bill is what the customer pays, in parts.
type Bill struct {
	Goods, Shipping, Tax money.Cents
}

// For is the bill of c.
func For(c *cart.Cart) Bill {
	b := Bill{Goods: c.Total()}
	if b.Goods > 0 && b.Goods < freeShippingMin {
		b.Shipping = shippingCost
	}
	b.Tax = (b.Goods + b.Shipping).Share(taxPercent)
	return b
}

// Total is the sum of all parts.
func (b Bill) Total() money.Cents { return b.Goods + b.Shipping + b.Tax }
