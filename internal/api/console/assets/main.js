// The start of every page: each module looks for its own marks in the page and does nothing without them.
import { startLive } from "./live.js";
import { startForms } from "./forms.js";
import { startLink } from "./link.js";
import { startCampaigns } from "./campaigns.js";

startForms(document);
startLive(document);
startLink(document);
startCampaigns(document);
