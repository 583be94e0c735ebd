//! `blkproof properties`: what a backup engine is held to.

use blkproof_spec::Property;
use owo_colors::OwoColorize as _;

use crate::error::Error;
use crate::exit::Exit;
use crate::json::{self, Record};
use crate::ui::Ui;

/// Lists the properties with their sentences.
pub(crate) fn run(ui: &mut Ui) -> Result<Exit, Error> {
    for property in Property::ALL {
        ui.say(format_args!("{}", property.name().bold()))?;
        ui.say(format_args!("    {}", property.sentence()))?;
        ui.say(format_args!("    checked: {}", property.when().dimmed()))?;
        ui.emit(&Record::Property(json::Property {
            name: property.name(),
            sentence: property.sentence(),
            when: property.when(),
        }))?;
    }
    Ok(Exit::Held)
}
