"""Photo and clip in, `Conditions` out: body, hands, face, alignment and their drawings."""
