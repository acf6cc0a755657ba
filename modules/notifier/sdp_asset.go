package notifier

import "context"

// The lists of assets. Build 15100 of the on-premises editions replaced the old one, and gave its rows an address.
const (
	assetsNew = "asset_assets"
	assetsOld = "assets"
)

type sdpAsset struct {
	ID          id      `json:"id"`
	Name        string  `json:"name"`
	PrimaryIP   string  `json:"primary_ip"`
	ProductType *lookup `json:"product_type"`
	Site        *lookup `json:"site"`
	Account     *lookup `json:"account"`
}

// assets implements lister. Which list a desk has is found out by its clear no to the other one.
func (d *sdp) assets(ctx context.Context, start int) (AssetPage, error) {
	if known := d.link.assetList.Load(); known != nil {
		return d.assetPage(ctx, *known, start)
	}
	lists := []string{assetsNew, assetsOld}
	if d.link.cloud() {
		lists = []string{assetsOld}
	}
	var page AssetPage
	var err error
	for _, list := range lists {
		if page, err = d.assetPage(ctx, list, start); err == nil {
			d.link.assetList.Store(&list)
		}
		if classOf(err) != missing {
			break
		}
	}
	return page, err
}

func (d *sdp) assetPage(ctx context.Context, list string, start int) (AssetPage, error) {
	start = max(start, 1)
	e, err := d.get(ctx, "list_assets", map[string]any{"row_count": pageSize, "start_index": start, "sort_field": "id", "sort_order": "asc"}, list)
	if err != nil {
		return AssetPage{}, err
	}
	rows := append(e.Assets, e.AssetAssets...)
	page := AssetPage{Next: e.next(start, len(rows))}
	for _, row := range rows {
		a := Asset{
			ID: string(row.ID), Name: row.Name, IP: row.PrimaryIP, Type: row.ProductType.name(), Site: row.Site.name(),
		}
		if row.Account != nil {
			a.AccountID = string(row.Account.ID)
		}
		if !d.link.owns(a.AccountID) {
			page.Hidden++
			continue
		}
		page.Assets = append(page.Assets, a)
	}
	return page, nil
}
