package compose

import (
	"encoding/json"

	"github.com/carepost/carepost/internal/organisation"
)

// BrandOf takes from an organisation what its messages wear. A theme that cannot be read falls back to the product's own.
func BrandOf(o organisation.Organisation) Brand {
	b := Brand{
		Name: o.Profile.Display, Phone: o.Profile.Phone, Postal: o.Profile.Postal.Text(),
		Hosts: append([]string{o.Host}, o.Profile.Hosts...),
	}
	var t Theme
	if len(o.Profile.Theme) > 0 && json.Unmarshal(o.Profile.Theme, &t) == nil && t.Check() == nil {
		b.Theme = t
	}
	return b
}

// MarshalJSON writes the theme with lower-case names.
func (t Theme) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]Palette{"light": t.Light, "dark": t.Dark})
}
