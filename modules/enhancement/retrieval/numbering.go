package retrieval

// numbering numbers keys in the order in which they come: a hash table with linear probing. It stands where a map would,
// since a search numbers ten thousand terms, and its time there went into the map.
type numbering struct {
	slots []int32 // the number plus one; 0 is free. A power of two, at most half full
	keys  []uint64
}

// newNumbering has room for what a number of candidates usually bring, and grows beyond.
func newNumbering(candidates int) *numbering {
	size := 1 << 6
	for size < 64*candidates {
		size *= 2
	}
	return &numbering{slots: make([]int32, size), keys: make([]uint64, 0, size/2)}
}

// of is the number of a key, a new one for a key not seen before.
func (n *numbering) of(key uint64) int32 {
	slot := n.slot(key)
	if n.slots[slot] == 0 {
		if 2*len(n.keys) >= len(n.slots) {
			n.grow()
			slot = n.slot(key)
		}
		n.keys = append(n.keys, key)
		n.slots[slot] = int32(len(n.keys)) // #nosec G115 -- a hundred documents of some thousand terms
	}
	return n.slots[slot] - 1
}

// slot is where a key is, or would be.
func (n *numbering) slot(key uint64) int {
	const golden = 0x9e3779b97f4a7c15 // spreads neighbouring keys
	mask := len(n.slots) - 1
	for slot := int(key * golden >> 33); ; slot++ {
		slot &= mask
		if number := n.slots[slot]; number == 0 || n.keys[number-1] == key {
			return slot
		}
	}
}

func (n *numbering) grow() {
	n.slots = make([]int32, 2*len(n.slots))
	for i, key := range n.keys {
		n.slots[n.slot(key)] = int32(i + 1) // #nosec G115 -- as in of
	}
}
