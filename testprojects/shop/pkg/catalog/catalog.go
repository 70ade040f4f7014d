// Package catalog lists what the shop sells.
package catalog

import (
	"fmt"
	"sort"

	"example.com/shop/pkg/money"
)

// Item is one thing for sale.
type Item struct {
	SKU   string
	Title string
	Price money.Cents
}

var items = map[string]Item{
	"coffee": {"coffee", "Coffee, 250 g", 899},
	"cup":    {"cup", "Cup, blue", 1250},
	"tea":    {"tea", "Tea, 100 g", 549},
}

// Find is the item of sku.
func Find(sku string) (Item, error) {
	item, ok := items[sku]
	if !ok {
		return Item{}, fmt.Errorf("no item %q", sku)
	}
	return item, nil
}

// All is every item, in order of SKU.
func All() []Item {
	all := make([]Item, 0, len(items))
	for _, item := range items {
		all = append(all, item)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].SKU < all[j].SKU })
	return all
}
