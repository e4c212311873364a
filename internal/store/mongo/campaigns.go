package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Campaigns implements campaign.Store.
type Campaigns struct{ db *DB }

// campaignDocument is a campaign as the collection holds it.
type campaignDocument struct {
	ID        string         `bson:"_id"`
	Revision  int64          `bson:"revision"`
	SessionID session.ID     `bson:"session_id"`
	UserID    string         `bson:"user_id"`
	Name      string         `bson:"name"`
	State     campaign.State `bson:"state"`
	Reason    string         `bson:"reason"`
	ResumeAt  time.Time      `bson:"resume_at,omitempty"`
	Planned   int            `bson:"planned"`
	Rejected  int            `bson:"rejected"`
	Slice     int            `bson:"slice"`
	Run       string         `bson:"run,omitempty"`
	CreatedAt time.Time      `bson:"created_at,omitempty"`
	UpdatedAt time.Time      `bson:"updated_at,omitempty"`
	StartedAt time.Time      `bson:"started_at,omitempty"`
	EndedAt   time.Time      `bson:"ended_at,omitempty"`
	Columns   []string       `bson:"columns,omitempty"`
	Text      string         `bson:"text"`
	// Settings is JSON of campaign.Settings: nothing is asked of what is in it.
	Settings string `bson:"settings,omitempty"`
}

// campaignDocumentOf is a campaign for a write that leads to the given revision.
func campaignDocumentOf(c campaign.Campaign, revision int64) campaignDocument {
	return campaignDocument{ID: string(c.ID), Revision: revision, SessionID: c.SessionID, UserID: c.UserID, Name: c.Name, State: c.State,
		Reason: c.Reason, ResumeAt: c.ResumeAt, Planned: c.Planned, Rejected: c.Rejected, Slice: c.Slice, Run: c.Run, CreatedAt: c.CreatedAt,
		UpdatedAt: c.UpdatedAt, StartedAt: c.StartedAt, EndedAt: c.EndedAt, Columns: c.Columns, Text: c.Text, Settings: c.Settings.Encode()}
}

func (d campaignDocument) record() campaign.Campaign {
	return campaign.Campaign{ID: campaign.ID(d.ID), Revision: d.Revision, SessionID: d.SessionID, UserID: d.UserID, Name: d.Name, State: d.State,
		Reason: d.Reason, ResumeAt: d.ResumeAt, Planned: d.Planned, Rejected: d.Rejected, Slice: d.Slice, Run: d.Run, CreatedAt: d.CreatedAt,
		UpdatedAt: d.UpdatedAt, StartedAt: d.StartedAt, EndedAt: d.EndedAt, Columns: d.Columns, Text: d.Text, Settings: campaign.DecodeSettings(d.Settings)}
}

// Create implements campaign.Store.
func (c *Campaigns) Create(ctx context.Context, created campaign.Campaign) error {
	_, err := c.db.campaigns.InsertOne(ctx, campaignDocumentOf(created, 1))
	return c.db.explain(ctx, doing("create campaign", string(created.ID)), err)
}

// Get implements campaign.Store.
func (c *Campaigns) Get(ctx context.Context, id campaign.ID) (campaign.Campaign, error) {
	found, err := readOne[campaignDocument](ctx, c.db.campaigns, string(id))
	return found, c.db.explain(ctx, doing("get campaign", string(id)), err)
}

// State implements campaign.Store. It is the one linearizable read: a majority read may come from a primary that was replaced seconds ago
// and does not know it yet, and a pause must hold from the next message on. It costs a round trip between the servers, much less than the
// gap between two messages.
func (c *Campaigns) State(ctx context.Context, id campaign.ID) (campaign.State, error) {
	var found struct {
		State campaign.State `bson:"state"`
	}
	err := c.newest().FindOne(ctx, byID(id), options.FindOne().SetProjection(bson.D{field("state", 1)})).Decode(&found)
	return found.State, c.db.explain(ctx, doing("get state of campaign", string(id)), err)
}

// newest is the collection for linearizable reads, which a server that is alone refuses and does not need.
func (c *Campaigns) newest() *mongo.Collection {
	if !c.db.capable.ReplicaSet {
		return c.db.campaigns
	}
	return c.db.campaigns.Clone(options.Collection().SetReadConcern(readconcern.Linearizable()))
}

// List implements campaign.Store.
func (c *Campaigns) List(ctx context.Context, filter campaign.Filter, page store.Page) (store.List[campaign.Campaign], error) {
	wanted := equal(equal(bson.D{}, "session_id", string(filter.SessionID)), "user_id", filter.UserID)
	wanted, possible := inStates(wanted, filter.States, campaign.States())
	if !possible {
		return store.List[campaign.Campaign]{}, nil
	}
	list := listing[campaign.Campaign]{collection: c.db.campaigns, descending: true, start: filter.Before(), cursor: campaignCursor,
		key: func(c campaign.Campaign) string { return string(c.ID) }}
	found, err := listPage[campaignDocument](ctx, list, wanted, page)
	return found, c.db.explain(ctx, "list campaigns", err)
}

// Update implements campaign.Store.
func (c *Campaigns) Update(ctx context.Context, changed campaign.Campaign) error {
	err := c.db.replace(ctx, c.db.campaigns, string(changed.ID), changed.Revision, campaignDocumentOf(changed, changed.Revision+1))
	return c.db.explain(ctx, doing("update campaign", string(changed.ID)), err)
}

// Delete implements campaign.Store. The deliveries go first: what fails half-way leaves a campaign to delete again.
func (c *Campaigns) Delete(ctx context.Context, id campaign.ID) error {
	ofCampaign := bson.D{field("campaign", string(id))}
	_, err := c.db.deliveries.DeleteMany(ctx, ofCampaign)
	if err == nil {
		_, err = c.db.rejections.DeleteMany(ctx, ofCampaign)
	}
	if err == nil {
		err = remove(ctx, c.db.campaigns, string(id))
	}
	return c.db.explain(ctx, doing("delete campaign", string(id)), err)
}
