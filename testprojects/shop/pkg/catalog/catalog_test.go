package catalog

import "testing"

func TestFind(t *testing.T) {
	for _, item := range All() {
		if got, err := Find(item.SKU); err != nil || got != item {
			t.Errorf("Find(%q) = %v, %v", item.SKU, got, err)
		}
	}
	if item, err := Find("gold"); err == nil {
		t.Errorf("Find(gold) = %v, want an error", item)
	}
}
