// The start of every page: each module looks for its own marks in the page and does nothing without them.
import { startLive } from "./live.js";
import { startForms } from "./forms.js";
import { startCopy } from "./copy.js";
import { startLink } from "./link.js";
import { startCampaigns } from "./campaigns.js";

startForms(document);
startLive(document);
startCopy(document);
startLink(document);
startCampaigns(document);
