// Keys: from KeyboardEvent.code to scan code set 1 (E0xx extended), and from characters to the keys that type
// them on a US keyboard.
// Sources: W3C UI Events KeyboardEvent code values; Microsoft, Keyboard Scan Code Specification.

/** A row of the keyboard: the codes of its keys, in the order of their scan codes. */
const ROWS: [first: number, codes: string][] = [
  [0x01, "Escape Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0 Minus Equal Backspace"],
  [0x0f, "Tab KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft BracketRight Enter ControlLeft"],
  [0x1e, "KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote Backquote ShiftLeft"],
  [0x2b, "Backslash KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash ShiftRight"],
  [0x37, "NumpadMultiply AltLeft Space CapsLock F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 NumLock ScrollLock"],
  [0x47, "Numpad7 Numpad8 Numpad9 NumpadSubtract Numpad4 Numpad5 Numpad6 NumpadAdd Numpad1 Numpad2 Numpad3"],
  [0x52, "Numpad0 NumpadDecimal"],
  [0x56, "IntlBackslash F11 F12 NumpadEqual"],
  [0x64, "F13 F14 F15 F16 F17 F18 F19 F20 F21 F22 F23"],
  [0x70, "KanaMode"],
  [0x73, "IntlRo"],
  [0x76, "F24"],
  [0x79, "Convert"],
  [0x7b, "NonConvert"],
  [0x7d, "IntlYen NumpadComma"],
  [0xe010, "MediaTrackPrevious"],
  [0xe019, "MediaTrackNext"],
  [0xe01c, "NumpadEnter ControlRight"],
  [0xe020, "AudioVolumeMute LaunchApp2 MediaPlayPause"],
  [0xe024, "MediaStop"],
  [0xe02e, "AudioVolumeDown"],
  [0xe030, "AudioVolumeUp"],
  [0xe032, "BrowserHome"],
  [0xe035, "NumpadDivide"],
  [0xe037, "PrintScreen AltRight"],
  [0xe046, "Pause Home ArrowUp PageUp"],
  [0xe04b, "ArrowLeft"],
  [0xe04d, "ArrowRight"],
  [0xe04f, "End ArrowDown PageDown Insert Delete"],
  [0xe05b, "MetaLeft MetaRight ContextMenu Power Sleep"],
  [0xe063, "WakeUp"],
  [0xe065, "BrowserSearch BrowserFavorites BrowserRefresh BrowserStop BrowserForward BrowserBack LaunchApp1"],
  [0xe06c, "LaunchMail MediaSelect"],
];

const SCAN_CODES: ReadonlyMap<string, number> = new Map(
  ROWS.flatMap(([first, codes]) => codes.split(" ").map((code, i): [string, number] => [code, first + i])),
);

/** The scan code of a key by its KeyboardEvent.code, or undefined for one that a PC keyboard has not. */
export function scanCode(code: string): number | undefined {
  return SCAN_CODES.get(code);
}

/** The characters of a row of keys on a US keyboard, plain and shifted, from scan code `first` on. */
const US_LAYOUT: [first: number, plain: string, shifted: string][] = [
  [0x02, "1234567890-=", "!@#$%^&*()_+"],
  [0x0f, "\tqwertyuiop[]\n", "\0QWERTYUIOP{}\0"],
  [0x1e, "asdfghjkl;'`", 'ASDFGHJKL:"~'],
  [0x2b, "\\zxcvbnm,./", "|ZXCVBNM<>?"],
  [0x39, " ", "\0"],
  [0x01, "\x1b", "\0"],
  [0x0e, "\b", "\0"],
];

const SHIFT = 0x2a;

export interface KeyStroke {
  code: number;
  down: boolean;
}

/** The key events that type `text` on a US keyboard; characters that it has not are left out. */
export function keyStrokes(text: string): KeyStroke[] {
  const strokes: KeyStroke[] = [];
  for (const character of text.replace(/\r\n?/g, "\n")) {
    if (character === "\0") continue;
    for (const [first, plain, shifted] of US_LAYOUT) {
      const shift = shifted.indexOf(character);
      const at = shift >= 0 ? shift : plain.indexOf(character);
      if (at < 0) continue;
      if (shift >= 0) strokes.push({ code: SHIFT, down: true });
      strokes.push({ code: first + at, down: true }, { code: first + at, down: false });
      if (shift >= 0) strokes.push({ code: SHIFT, down: false });
      break;
    }
  }
  return strokes;
}
