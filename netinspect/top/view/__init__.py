"""The live view on the screen, in Textual (the extra ``top``). Nothing outside of here knows Textual."""
