// Command cart keeps carts.
package main

import (
	"fmt"
	"net/http"
	"os"

	"example.com/shop/pkg/cart"
	"example.com/shop/pkg/config"
	"example.com/shop/pkg/service"
)

func sample() (string, error) {
	var c cart.Cart
	if err := c.Add("coffee", 2); err != nil {
		return "", err
	}
	if err := c.Add("cup", 1); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d items, %v", c.Len(), c.Total()), nil
}

func main() {
	os.Exit(service.Service{
		Name:  "cart",
		Check: func(config.Config) (string, error) { return sample() },
		Routes: func(config.Config) map[string]http.HandlerFunc {
			return map[string]http.HandlerFunc{"/cart": service.Text(sample)}
		},
	}.Main())
}
