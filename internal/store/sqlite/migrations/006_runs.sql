-- Which run has a campaign's slice in hand (campaign.Campaign.Run).
ALTER TABLE campaigns ADD COLUMN run TEXT NOT NULL DEFAULT '';
