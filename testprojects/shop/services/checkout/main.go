// Command checkout turns carts into bills.
package main

import (
	"fmt"
	"net/http"
	"os"

	"example.com/shop/pkg/cart"
	"example.com/shop/pkg/config"
	"example.com/shop/pkg/pricing"
	"example.com/shop/pkg/service"
)

func sample() (string, error) {
	var c cart.Cart
	if err := c.Add("tea", 1); err != nil {
		return "", err
	}
	bill := pricing.For(&c)
	return fmt.Sprintf("goods %v, shipping %v, tax %v, total %v",
		bill.Goods, bill.Shipping, bill.Tax, bill.Total()), nil
}

func main() {
	os.Exit(service.Service{
		Name:  "checkout",
		Check: func(config.Config) (string, error) { return sample() },
		Routes: func(config.Config) map[string]http.HandlerFunc {
			return map[string]http.HandlerFunc{"/bill": service.Text(sample)}
		},
	}.Main())
}
