"""GPU code in ELF files: the formats, and NVIDIA's programs that read them; changes nothing."""
