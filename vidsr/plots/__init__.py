"""Pictures of measurements. The only home of matplotlib; nothing here knows where its numbers come from."""
