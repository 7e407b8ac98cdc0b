package compose

import (
	"slices"
	"strconv"

	"github.com/carepost/carepost/internal/fault"
)

func itoa(n int) string { return strconv.Itoa(n) }

func (b Heading) expand(x *expander) (Block, error) {
	if b.Level < 1 || b.Level > 3 {
		return nil, fault.New(fault.Invalid, "a heading has level 1, 2 or 3").At("level")
	}
	if b.Text == "" {
		return nil, fault.New(fault.Invalid, "an empty heading").At("text")
	}
	x.plain("text", &b.Text)
	return b, x.err
}

func (b Text) expand(x *expander) (Block, error) {
	if b.Text == "" {
		return nil, fault.New(fault.Invalid, "an empty text").At("text")
	}
	x.rich("text", &b.Text)
	return b, x.err
}

func (b Callout) expand(x *expander) (Block, error) {
	if !slices.Contains([]string{"info", "warning", "success"}, b.Tone) {
		return nil, fault.New(fault.Invalid, "not a tone").At("tone").Hint("info, warning or success")
	}
	x.plain("title", &b.Title)
	x.rich("text", &b.Text)
	return b, x.err
}

func (b Button) expand(x *expander) (Block, error) {
	if b.Label == "" || b.URL == "" {
		return nil, fault.New(fault.Invalid, "a button has a label and a url")
	}
	x.plain("label", &b.Label)
	x.url("url", &b.URL)
	return b, x.err
}

func (b List) expand(x *expander) (Block, error) {
	switch {
	case b.Each != "" && (b.Item == "" || len(b.Items) > 0):
		return nil, fault.New(fault.Invalid, "a list with each has an item and no items").At("item")
	case b.Each == "" && (b.Item != "" || len(b.Items) == 0 || len(b.Items) > maxListItems):
		return nil, fault.New(fault.Invalid, "a list has 1 to %d items, or each and item", maxListItems).At("items")
	}
	if b.Each != "" {
		var items []string
		err := x.records(b.Each, func() error {
			item := b.Item
			x.rich("item", &item)
			items = append(items, item)
			return x.err
		})
		b.Items = items
		return b, err
	}
	b.Items = slices.Clone(b.Items)
	for i := range b.Items {
		x.rich("items["+itoa(i)+"]", &b.Items[i])
	}
	return b, x.err
}

func (b Table) expand(x *expander) (Block, error) {
	n := len(b.Header)
	switch {
	case n == 0 || n > maxTableColumns:
		return nil, fault.New(fault.Invalid, "a table has a header of 1 to %d columns", maxTableColumns).At("header")
	case b.Each != "" && (len(b.Row) != n || len(b.Rows) > 0):
		return nil, fault.New(fault.Invalid, "a table with each has a row as wide as its header and no rows").At("row")
	case b.Each == "" && (len(b.Rows) == 0 || len(b.Rows) > maxTableRows || len(b.Row) > 0):
		return nil, fault.New(fault.Invalid, "a table has 1 to %d rows, or each and row", maxTableRows).At("rows")
	}
	b.Header = slices.Clone(b.Header)
	x.plain("caption", &b.Caption)
	for i := range b.Header {
		x.plain("header["+itoa(i)+"]", &b.Header[i])
	}
	if b.Each != "" {
		var rows [][]string
		err := x.records(b.Each, func() error {
			row := slices.Clone(b.Row)
			for i := range row {
				x.rich("row["+itoa(i)+"]", &row[i])
			}
			rows = append(rows, row)
			return x.err
		})
		b.Rows = rows
		return b, err
	}
	rows := make([][]string, len(b.Rows))
	for i, row := range b.Rows {
		if len(row) != n {
			return nil, fault.New(fault.Invalid, "the row is not as wide as the header").At("rows[%d]", i)
		}
		rows[i] = slices.Clone(row)
		for j := range row {
			x.rich("rows["+itoa(i)+"]["+itoa(j)+"]", &rows[i][j])
		}
	}
	b.Rows = rows
	return b, x.err
}

func (b Image) expand(x *expander) (Block, error) {
	switch {
	case b.File.IsZero():
		return nil, fault.New(fault.Invalid, "an image names a stored file").At("file")
	case b.Alt == "" && !b.Decorative:
		// WCAG 2.2, 1.1.1.
		return nil, fault.Wrap(fault.Invalid, errAlt, "an image has no alternative text").At("alt").Hint("say what it shows, or mark it decorative")
	case b.Alt != "" && b.Decorative:
		return nil, fault.New(fault.Invalid, "a decorative image says nothing").At("alt")
	case b.Width < 0 || b.Width > pageWidth:
		return nil, fault.New(fault.Invalid, "an image is at most %d pixels wide", pageWidth).At("width")
	}
	x.plain("alt", &b.Alt)
	x.url("url", &b.URL)
	return b, x.err
}

func (b Divider) expand(*expander) (Block, error) { return b, nil }

func (b Spacer) expand(*expander) (Block, error) {
	if b.Size < 4 || b.Size > 64 {
		return nil, fault.New(fault.Invalid, "a spacer has 4 to 64 pixels").At("size")
	}
	return b, nil
}

func (b Address) expand(*expander) (Block, error) { return b, nil }

func (b Unsubscribe) expand(x *expander) (Block, error) {
	x.plain("text", &b.Text)
	return b, x.err
}

func (b Advertisement) expand(*expander) (Block, error) { return b, nil }
func (b Languages) expand(*expander) (Block, error)     { return b, nil }
