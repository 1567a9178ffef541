// Whether the palette, in which everything is found by its name, is open; or the list of keys.

class Palette {
  isOpen = $state(false);
  keysAreOpen = $state(false);

  open(): void {
    this.isOpen = true;
  }
}

export const palette = new Palette();
