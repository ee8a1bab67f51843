// What the pages do beyond links and forms. Everything here is comfort: without scripts the same links work.

import { startKeys } from "./keys.js";
import { startLevels } from "./levels.js";
import { startMenus } from "./menus.js";
import { startNavigation } from "./navigation.js";
import { startPlaying } from "./playing.js";
import { startPanel } from "./panel.js";
import { startSettings } from "./settings.js";
import { startTable } from "./table.js";
import { startCopying } from "./copying.js";
import { startWaiting } from "./waiting.js";

startSettings();
startMenus();
startTable();
startLevels();
startPanel();
startNavigation();
startCopying();
startPlaying();
startKeys();
startWaiting();
