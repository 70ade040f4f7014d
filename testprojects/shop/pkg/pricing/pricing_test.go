package pricing

import (
	"testing"

	"example.com/shop/pkg/cart"
)

func TestFor(t *testing.T) {
	var c cart.Cart
	if got := For(&c).Total(); got != 0 {
		t.Errorf("empty cart: got %v, want 0.00", got)
	}
	if err := c.Add("cup", 2); err != nil {
		t.Fatal(err)
	}
	if got := For(&c); got.Shipping != 0 || got.Total() != 3000 {
		t.Errorf("two cups: got %+v, want 30.00 and no shipping", got)
	}
}
