"""The report of a whole campaign: its rounds, its learning curve, its effort, on one page."""

from vidal.report.campaign.page import FILES, write_campaign_report
from vidal.report.campaign.story import CampaignStory, Point, RoundStory

__all__ = ["FILES", "CampaignStory", "Point", "RoundStory", "write_campaign_report"]
