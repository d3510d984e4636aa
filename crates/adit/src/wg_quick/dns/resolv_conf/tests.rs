//! What comes back, and when.

use super::*;

const OURS: &str = "# by adit, while a tunnel is up\nnameserver 10.0.0.1\noptions rotate\n";

/// A path in a directory of its own, with this text if any.
fn file(name: &str, text: Option<&str>) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("adit-resolv-{name}-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("resolv.conf");
    let _ = fs::remove_file(&path);
    if let Some(text) = text {
        fs::write(&path, text).unwrap();
    }
    path
}

fn edit(path: &Path) -> Edit {
    let mut edit = Edit::of(path);
    edit.prepare("nameserver 10.0.0.1\n").unwrap();
    edit.make().unwrap();
    edit
}

fn files(path: &Path) -> usize {
    fs::read_dir(path.parent().unwrap()).unwrap().count()
}

#[test]
fn what_was_there_comes_back() {
    let before = "nameserver 192.0.2.1\noptions rotate\nsearch lan\n";
    let path = file("back", Some(before));
    let change = edit(&path);
    assert_eq!(fs::read_to_string(&path).unwrap(), OURS);
    change.undo([]).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    change.undo([]).unwrap();
    assert_eq!(files(&path), 1);
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
fn who_may_read_and_write_it_stays() {
    let path = file("mode", Some("nameserver 192.0.2.1\n"));
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let change = edit(&path);
    assert_eq!(mode(), 0o640);
    change.undo([]).unwrap();
    assert_eq!(mode(), 0o640);
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
fn where_there_was_no_file_there_is_none_again() {
    let path = file("none", None);
    assert!(can_be_edited(&path));
    edit(&path).undo([]).unwrap();
    assert_eq!(files(&path), 0);
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
fn the_servers_of_a_tunnel_that_stays_up_stay_in_use() {
    let before = "nameserver 192.0.2.1\n";
    for [first, second] in [["10.0.0.1", "10.0.0.2"], ["10.0.0.1", "10.0.0.1"]] {
        for goes_first in [0, 1] {
            let path = file("two", Some(before));
            let edits = [first, second].map(|server| {
                let mut edit = Edit::of(&path);
                edit.prepare(&format!("nameserver {server}\n")).unwrap();
                edit.make().unwrap();
                edit
            });
            let [gone, stays] = [&edits[goes_first], &edits[1 - goes_first]];
            gone.undo([stays]).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), stays.after);
            stays.undo([]).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), before);
            assert_eq!(files(&path), 1);
            fs::remove_dir_all(path.parent().unwrap()).unwrap();
        }
    }
}

#[test]
fn an_edit_that_was_not_prepared_undoes_nothing() {
    let path = file("empty", Some(""));
    Edit::of(&path).undo([]).unwrap();
    assert!(path.exists());
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
fn what_a_killed_program_left_beside_it_goes() {
    let path = file("killed", Some("nameserver 192.0.2.1\n"));
    let mut killed = Edit::of(&path);
    killed.prepare("nameserver 10.0.0.1\n").unwrap();
    fs::write(killed.temporary(), "").unwrap();
    killed.undo([]).unwrap();
    assert_eq!(files(&path), 1);
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
fn what_somebody_else_wrote_meanwhile_stays() {
    let path = file("else", Some("nameserver 192.0.2.1\n"));
    let change = edit(&path);
    fs::write(&path, "nameserver 192.0.2.9\n").unwrap();
    assert!(change.undo([]).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "nameserver 192.0.2.9\n");
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
fn after_a_crash_the_next_edit_knows_what_was_before() {
    let before = "nameserver 192.0.2.1\noptions rotate\n";
    let path = file("crash", Some(before));
    drop(edit(&path));
    edit(&path).undo([]).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    assert_eq!(files(&path), 1);
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

/// Longer, shorter, and longer than a page than what is written over them.
fn texts() -> [String; 3] {
    let long = "nameserver 192.0.2.1\nsearch a.example b.example c.example d.example e.example\n";
    [long.to_owned(), "nameserver ::1\n".to_owned(), long.repeat(100)]
}

/// What is there at each moment while one text is written over another.
fn moments(from: &str, to: &str) -> Vec<String> {
    let padded: Vec<u8> = padded(to, from.len()).collect();
    let written = (0..=padded.len()).step_by(4096).chain([padded.len()]);
    let half = |written: usize| [&padded[..written], from.as_bytes().get(written..).unwrap_or_default()].concat();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    written.map(half).map(text).chain([to.to_owned()]).collect()
}

#[test]
fn what_a_killed_program_has_half_written_over_is_undone() {
    for before in texts() {
        let path = file("half", Some(&before));
        let change = edit(&path);
        let to_and_fro = [moments(&before, &change.after), moments(&change.after, &before)];
        for text in to_and_fro.concat() {
            fs::write(&path, &text).unwrap();
            fs::write(change.copy(), &before).unwrap();
            assert_eq!(change.is_overwritten(), text == before);
            change.undo([]).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), before);
            assert_eq!(files(&path), 1);
        }
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}

#[test]
fn beside_another_tunnel_what_is_half_written_over_becomes_that_ones() {
    let path = file("half-two", Some(&texts()[0]));
    let stays = edit(&path);
    let mut gone = Edit::of(&path);
    gone.prepare("nameserver 10.0.0.2\nsearch corp.example\n").unwrap();
    let to_and_fro = [moments(&stays.after, &gone.after), moments(&gone.after, &stays.after)];
    for text in to_and_fro.concat() {
        fs::write(&path, text).unwrap();
        gone.undo([&stays]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), stays.after);
    }
    stays.undo([]).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), texts()[0]);
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

/// Of another tunnel, or after a crash of the machine.
#[test]
fn the_next_edit_does_not_take_what_is_half_written_over_for_what_was_before() {
    for before in &texts()[..2] {
        let path = file("half-next", Some(before));
        let killed = edit(&path);
        let to_and_fro = [moments(before, &killed.after), moments(&killed.after, before)];
        for text in to_and_fro.concat() {
            fs::write(&path, text).unwrap();
            fs::write(killed.copy(), before).unwrap();
            edit(&path).undo([]).unwrap();
            assert_eq!(&fs::read_to_string(&path).unwrap(), before);
        }
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}

#[test]
fn a_file_written_over_has_the_new_text_and_no_more() {
    let path = file("over", None);
    for [from, to] in [[0, 1], [1, 2], [2, 0]] {
        let [from, to] = [&texts()[from], &texts()[to]];
        fs::write(&path, from).unwrap();
        write_over(&path, to).unwrap();
        assert_eq!(&fs::read_to_string(&path).unwrap(), to);
    }
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
}
