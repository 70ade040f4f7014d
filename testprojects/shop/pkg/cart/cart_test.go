package cart

import "testing"

func TestAdd(t *testing.T) {
	var c Cart
	if err := c.Add("tea", 2); err != nil {
		t.Fatal(err)
	}
	if c.Len() != 2 || c.Total() != 1098 {
		t.Errorf("got %d items for %v, want 2 for 10.98", c.Len(), c.Total())
	}
	if c.Add("gold", 1) == nil || c.Add("tea", 0) == nil {
		t.Error("want errors")
	}
}
