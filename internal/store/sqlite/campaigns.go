package sqlite

import (
	"context"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Campaigns implements campaign.Store.
type Campaigns struct{ db *DB }

const campaignColumns = `id, revision, session_id, user_id, name, state, reason, resume_at, planned, rejected, slice, created_at,
	updated_at, started_at, ended_at, columns, text, settings, run`

const (
	insertCampaign = `INSERT INTO campaigns (` + campaignColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	updateCampaign = `UPDATE campaigns SET (` + campaignColumns + `)
		= (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19) WHERE id = ?1 AND revision = ?2 - 1`
	campaignExists      = `SELECT 1 FROM campaigns WHERE id = ?`
	selectCampaign      = `SELECT ` + campaignColumns + ` FROM campaigns WHERE id = ?`
	selectCampaignState = `SELECT state FROM campaigns WHERE id = ?`
	clearDeliveries     = `DELETE FROM deliveries WHERE number IN (SELECT number FROM deliveries WHERE ` + ofCampaign + ` LIMIT ?)`
	clearRejections     = `DELETE FROM rejections WHERE ` + ofCampaign
	clearCounts         = `DELETE FROM delivery_counts WHERE ` + ofCampaign
	deleteCampaign      = `DELETE FROM campaigns WHERE id = ?`
)

// campaignValues are the values of campaignColumns, for a write that leads to the given revision.
func campaignValues(c campaign.Campaign, revision int64) []any {
	return []any{c.ID, revision, c.SessionID, c.UserID, c.Name, c.State, c.Reason, instant(c.ResumeAt), c.Planned, c.Rejected, c.Slice,
		instant(c.CreatedAt), instant(c.UpdatedAt), instant(c.StartedAt), instant(c.EndedAt), inJSON(&c.Columns), c.Text, inJSON(&c.Settings), c.Run}
}

func scanCampaign(from row) (c campaign.Campaign, err error) {
	err = from.Scan(&c.ID, &c.Revision, &c.SessionID, &c.UserID, &c.Name, &c.State, &c.Reason, (*instant)(&c.ResumeAt), &c.Planned,
		&c.Rejected, &c.Slice, (*instant)(&c.CreatedAt), (*instant)(&c.UpdatedAt), (*instant)(&c.StartedAt), (*instant)(&c.EndedAt),
		inJSON(&c.Columns), &c.Text, inJSON(&c.Settings), &c.Run)
	return c, err
}

// Create implements campaign.Store.
func (c *Campaigns) Create(ctx context.Context, created campaign.Campaign) error {
	return c.db.write(ctx, "create campaign "+string(created.ID), func(tx *transaction) error {
		_, err := exec(ctx, tx, insertCampaign, campaignValues(created, 1)...)
		return err
	})
}

// Get implements campaign.Store.
func (c *Campaigns) Get(ctx context.Context, id campaign.ID) (campaign.Campaign, error) {
	found, err := single(queryAll(ctx, c.db.reader, selectCampaign, []any{id}, scanCampaign))
	return found, c.db.explain(ctx, "get campaign "+string(id), err)
}

// State implements campaign.Store. It reads one short column through the index of the ids, and mostly not even that (states.go).
func (c *Campaigns) State(ctx context.Context, id campaign.ID) (campaign.State, error) {
	state, changes, known := c.db.states.get(id)
	if known {
		return state, nil
	}
	err := queryOne(ctx, c.db.reader, selectCampaignState, []any{id}, &state)
	if err == nil {
		c.db.states.put(id, state, changes)
	}
	return state, c.db.explain(ctx, "get state of campaign "+string(id), err)
}

// List implements campaign.Store.
func (c *Campaigns) List(ctx context.Context, filter campaign.Filter, page store.Page) (store.List[campaign.Campaign], error) {
	list := listing[campaign.Campaign]{table: "campaigns", columns: campaignColumns, descending: true, scan: scanCampaign,
		start: filter.Before(), cursor: campaignCursor, key: func(c campaign.Campaign) string { return string(c.ID) }}
	question := narrowed{states: chosen(filter.States, campaign.States())}
	question.to("session_id", string(filter.SessionID))
	question.to("user_id", filter.UserID)
	return listPage(ctx, c.db, list, question, page)
}

// Update implements campaign.Store.
func (c *Campaigns) Update(ctx context.Context, changed campaign.Campaign) error {
	defer c.db.states.forget(changed.ID)
	return c.db.write(ctx, "update campaign "+string(changed.ID), func(tx *transaction) error {
		return replace(ctx, tx, replacement{update: updateCampaign, values: campaignValues(changed, changed.Revision+1),
			exists: campaignExists, id: string(changed.ID)})
	})
}

// Delete implements campaign.Store. The deliveries go first, a chunk at a time: what fails half-way leaves a campaign to delete again.
func (c *Campaigns) Delete(ctx context.Context, id campaign.ID) error {
	defer c.db.states.forget(id)
	doing := "delete campaign " + string(id)
	if err := c.db.inChunks(ctx, doing, clearDeliveries, id); err != nil {
		return err
	}
	return c.db.write(ctx, doing, func(tx *transaction) error {
		for _, clear := range []string{clearRejections, clearCounts} {
			if _, err := exec(ctx, tx, clear, id); err != nil {
				return err
			}
		}
		return existed(exec(ctx, tx, deleteCampaign, id))
	})
}
