"""The demo: the web site of a bicycle workshop that does not exist, and believable traffic for it.

`site` builds the site, `articles` lists what it publishes, `traffic` writes the access log it might have had. Nothing
here is part of the product: it mounts the gateway as any site would and asks it only what any site may.
"""
