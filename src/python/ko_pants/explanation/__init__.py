"""Why an image was rebuilt: records of what images were made from, and their changes. No Pants."""
