"""The words of the caption grammar: our own lists, no third party's text.

A noun of several words is written with underscores, the tag of a part after a slash where it is not NN: hot/JJ_dog.
Verbs are base forms; `inflect.py` knows the rest.
"""

from __future__ import annotations

PEOPLE = """
    man woman boy girl person child lady guy kid baby man woman boy girl person skier surfer skateboarder snowboarder
    player batter pitcher catcher umpire chef cook waiter officer policeman fireman worker couple toddler infant rider
    bride groom bicyclist cyclist biker tourist traveler farmer soldier clown snowman gentleman male female skater
    athlete motorcyclist teenager student teacher doctor nurse driver passenger pedestrian crowd family friend vendor
    businessman jockey rancher shopper customer dancer singer musician swimmer hiker fisherman golfer boarder runner
    spectator individual adult mother father daughter son brother sister wife husband grandmother artist photographer
    tennis_player baseball_player soccer_player football_player basketball_player police_officer hockey_player
    snow_boarder skate_boarder construction_worker bus_driver business_man teenage/JJ_boy street_vendor wind_surfer
    cross_country_skier bike_rider horse_rider baseball_team tennis_pro fire_fighter baseball_pitcher ski_instructor
""".split()

ANIMALS = """
    dog cat horse cow sheep elephant giraffe zebra bear bird dog cat horse duck goose puppy kitten goat lamb pigeon
    seagull monkey lion tiger panda parrot swan rabbit pig owl pony bull calf donkey camel deer rooster chicken hen
    turkey parakeet canary peacock eagle crane rhino hippo kangaroo turtle frog fish dolphin butterfly bee squirrel
    fox wolf mule ox buffalo bison antelope gazelle ostrich flamingo penguin seal animal pet creature foal hound
    polar/JJ_bear panda_bear teddy_bear grizzly_bear baby_elephant baby_giraffe golden/JJ_retriever german/JJ_shepherd
    stuffed/JJ_animal stuffed/JJ_bear tabby_cat sheep_dog guide_dog sea_gull house_cat border_collie bear_cub
    mother_elephant mountain_goat farm_animal pit_bull zoo_animal police_dog lap_dog wiener_dog calico_cat baby_zebra
""".split()

VEHICLES = """
    car truck bus train van boat airplane plane jet helicopter bicycle bike motorcycle scooter suv taxi cab tractor
    wagon cart carriage trolley tram ship sailboat canoe kayak ferry yacht trailer moped jeep sedan limousine minivan
    ambulance locomotive engine airliner aircraft vehicle subway sled fire_truck passenger_train city_bus school_bus
    double_decker_bus tour_bus freight_train steam_engine fire_engine pickup_truck dump_truck tow_truck police_car
    passenger_jet passenger_plane fighter_jet train_car train_engine motor_scooter dirt_bike mountain_bike cable_car
    tour_boat sail_boat row_boat fishing_boat cargo_ship garbage_truck food_truck commuter_train subway_train
    bullet_train race_car sports_car delivery_truck police_motorcycle jet_ski air_plane jumbo_jet
    sport_utility_vehicle transit_bus propeller_plane biplane horse_carriage golf_cart house_boat
""".split()

THINGS = """
    bench chair couch sofa bed table desk laptop computer keyboard mouse monitor television tv phone cellphone camera
    umbrella backpack suitcase bag purse handbag skateboard surfboard snowboard frisbee kite ball bat racket racquet
    ski pole sign hydrant meter clock tower house bridge fence wall window door mirror sink toilet bathtub shower tub
    stove oven microwave refrigerator fridge toaster blender counter cabinet shelf bookshelf drawer dresser lamp vase
    bowl plate cup glass mug bottle jar can knife fork spoon spatula tray basket dish pan pot platter kettle pitcher
    book magazine newspaper paper card toy doll flag balloon rope ladder pillow blanket quilt rug mat curtain towel
    leash collar saddle wave ramp rail net fire trophy remote controller guitar piano painting picture poster statue
    sculpture fountain tree bush plant flower rose tulip daisy sunflower branch log rock stone leaf box crate barrel
    bucket can bin container canister holder rack stand stool ottoman recliner nightstand headboard mattress sheet
    chandelier candle fireplace faucet tile hose pipe machine tool hammer wrench scissor brush comb razor toothbrush
    toothpaste soap sponge hanger iron fan heater speaker radio printer scanner screen tablet notebook pen pencil
    crayon marker stapler folder wallet key coin ticket map ornament decoration ribbon bow gift present wreath lantern
    lamppost post chain cone barrier gate arch column dome roof chimney balcony porch deck staircase stair step
    elevator escalator bookcase cupboard closet mantle windowsill shade blind awning tent canopy parasol hut shed
    cabin cottage church cathedral temple castle palace skyscraper building hotel shop booth kiosk cage nest feeder
    trough hay_bale wheel tire handle seat basket helmet tag label sticker button cord cable wire outlet switch
    fire_hydrant stop_sign street_sign traffic_light traffic_signal parking/NN_meter tennis_racket tennis_racquet
    tennis_ball baseball_bat baseball_glove cell_phone wine_glass coffee_cup coffee_mug tea_cup tea_pot coffee_table
    coffee_pot coffee_maker laptop_computer desktop_computer computer_monitor computer_keyboard computer_mouse
    desk_top computer_desk computer_screen computer_chair table_top counter_top stove_top stove_top_oven table_cloth
    hair_dryer tooth_brush tooth_paste toilet_paper toilet_seat toilet_bowl toilet_brush shower_curtain shower_door
    shower_head bath_tub bathroom_sink bathroom_mirror bathroom_counter kitchen_sink kitchen_counter kitchen_table
    kitchen_island kitchen_cabinet microwave_oven toaster_oven dish_washer dining/NN_table dining/NN_room_table
    picnic_table end_table night_stand bunk_bed bed_spread bed_frame double/JJ_bed arm_chair rocking/NN_chair
    office_chair lawn_chair beach_chair beach_umbrella park_bench stone_bench cement_bench brick_wall brick_building
    stone_wall brick_fireplace fire_place chain_link_fence wire_fence clock_tower bell_tower street_lamp street_light
    lamp_post light_pole telephone_pole power_line phone_booth trash_can garbage_can recycling/NN_bin mail_box
    lunch_box cutting/NN_board chopping/NN_board baking/NN_sheet baking/NN_dish frying/NN_pan mixing/NN_bowl pizza_box
    pizza_oven pizza_cutter pizza_pan wine_bottle beer_bottle water_bottle soda_can dog_bowl dog_bed cat_bed bird_cage
    bird_feeder bird_bath bird_house game_controller video_game remote/JJ_control tv_screen flat/JJ_screen_tv
    television_set television_screen entertainment_center book_shelf book_case alarm_clock wall_clock ceiling_fan
    window_sill picture_frame light_fixture flower_pot flower_vase christmas_tree palm_tree tree_branch tree_trunk
    hot/JJ_dog_stand hot/JJ_dog_cart fruit_stand food_stand market_stall lemonade_stand surf_board skate_board
    snow_board ski_pole ski_lift ski_slope ski_board boogie_board wii_remote wii_controller nintendo_game gift_shop
    hand_bag tote_bag plastic_bag paper_bag paper_plate paper_towel back_pack carry_on_bag luggage_cart luggage_rack
    shopping/NN_cart shopping/NN_bag sleeping/NN_bag welcome_sign neon_sign street_name_sign road_sign shoe_rack
    stuffed/JJ_toy stuffed/JJ_sheep stuffed/JJ_rabbit toy_train toy_car rubber_duck model_train train_set note_book
    glass_vase glass_bowl glass_door glass_table metal_pole metal_rack metal_bench metal_pan metal_gate wood_table
    wood_floor wood_fence stone_building marble_counter tile_floor hardwood_floor dirt_floor cement_wall steel_sink
    stainless/JJ_steel_refrigerator stainless/JJ_steel_sink birthday_cake_candle parking/NN_sign garage_door car_door
    car_window car_trunk car_seat bus_window bus_door train_window truck_bed airplane_wing bike_rack bus_stop_sign
    identification_card business_card credit_card note_stand note_pad item object thing appliance utensil food_item
    household_item medical_supply tool decor_item kitchen_appliance kitchen_utensil cooking/NN_utensil
    household_appliance item material electronic_device office_supply drinking/NN_glass shot_glass
    hair_cutting/NN_tool cooking/NN_pot reading/NN_lamp skateboarding/NN_trick swimming/NN_trunk sewing/NN_machine
    vending/NN_machine washing/NN_machine writing/NN_desk x-ray_machine e-reader carry-on_bag tic-tac-toe_board
    ice-cream_cone to-go_box place_setting patio_set mouse_pad game_board score_board paper_dispenser
""".split()

CLOTHES = """
    hat cap helmet jacket coat scarf glove shirt tie suit dress skirt sweater vest apron uniform costume bikini
    wetsuit robe hoodie headband wig crown bandana belt watch necklace backpack mask costume swimsuit cowboy_hat
    top_hat straw_hat santa_hat baseball_cap baseball_uniform ski_jacket ski_suit wet/JJ_suit snow_suit business_suit
    t-shirt t-shirt tee-shirt bow_tie neck_tie bathing/NN_suit life_jacket hard/JJ_hat name_tag leather_jacket
    rain_coat
""".split()
CLOTHES_IN_THE_PLURAL = """
    glasses sunglasses goggles gloves jeans shorts pants boots shoes skis sandals pajamas mittens tights shoes socks
""".split()
CLOTHES_OF_NO_NUMBER = """
    leather black white red blue green pink yellow orange plaid camouflage denim
""".split()

FOODS = """
    pizza sandwich burger hamburger cheeseburger salad cake donut doughnut cupcake hotdog apple banana orange carrot
    tomato cookie pie bagel muffin pancake waffle burrito taco omelet croissant pretzel sausage meatball steak egg
    potato onion pepper mushroom cucumber pickle lemon lime peach pear strawberry blueberry grape melon watermelon
    pineapple vegetable dessert snack meal lunch dinner breakfast pastry nut bean noodle fry sub wrap roll bun slice
    hot/JJ_dog hot/JJ_dog_bun birthday_cake wedding_cake chocolate_cake cheese_pizza pepperoni_pizza veggie_pizza
    chili_dog ice_cream_cone apple_pie pizza_slice pizza_crust french/JJ_fry chicken_sandwich cheese_sandwich
    ham_sandwich club_sandwich breakfast_sandwich sweet/JJ_potato egg_roll fruit_salad glazed/VBN_donut fruit_bowl
    chocolate_donut sheet_cake layer_cake banana_split cream_puff chicken_wing baby_carrot green/JJ_bean orange_slice
    apple_slice lemon_slice tomato_slice dinner_roll grilled/VBN_cheese_sandwich mashed/VBN_potato onion_ring
""".split()
FOODS_OF_NO_NUMBER = """
    food fruit bread cheese rice meat chicken beef pork fish bacon ham sausage pasta spaghetti soup sauce butter toast
    lettuce broccoli spinach celery cabbage corn cauliflower chocolate ice_cream whipped/VBN_cream chocolate_sauce
    frosting icing sushi shrimp seafood pepperoni salad_dressing cream_cheese fried/VBN_rice fried/VBN_chicken pizza
    wine beer coffee tea milk water juice orange_juice soda vodka lemonade liquor cereal syrup honey salsa guacamole
    cake dessert candy dog_food cat_food junk_food fast/JJ_food tomato_sauce garlic_bread corn_bread popcorn hay
""".split()
STUFF = """
    clutter rubble grass snow water sand luggage baggage dirt furniture ice mud hay wood brick metal concrete cement
    leather plastic gravel graffiti clutter paperwork equipment traffic smoke steam sunlight fog rain ocean_water
    trash garbage debris silverware china pottery clothing jewelry hair fur greenery foliage shrubbery vegetation ivy
    moss ground lace snow_gear ski_equipment camera_equipment farm_equipment patio_furniture office_equipment
    toilet_paper street_art body_armor cold/JJ_weather_gear food_coloring wall_paper construction_paper wrapping_paper
""".split()

PLACES = """
    street road sidewalk park field beach ocean lake river pond forest hill mountain slope yard garden kitchen
    bathroom bedroom room restaurant market store station airport runway tarmac platform city town village zoo pen
    barn farm court stadium arena pool grass sand snow water sky background foreground dirt track intersection corner
    hallway office classroom pasture meadow desert harbor dock pier alley garage lot building mound hillside enclosure
    path trail driveway doorway backyard patio porch lawn plaza square bridge highway crosswalk curb cafe bakery bar
    cafeteria museum library church school hospital hotel shop mall theater lobby lounge cubicle stall pavement cliff
    valley canyon stream waterfall shore shoreline coast marina bay island jungle savanna plain prairie orchard
    vineyard sea crowd ground floor air distance woods rain sun shade dark middle_school swamp creek canal clearing
    parade festival living/NN_room dining/NN_room bath_room bed_room waiting/NN_room hotel_room class_room locker_room
    kitchen_area parking/NN_lot parking/NN_garage parking/NN_space swimming/NN_pool skate_park skateboard_park
    ski_resort ski_slope ski_area ski_trail baseball_field baseball_game baseball_diamond soccer_field football_field
    tennis_court tennis_match basketball_court train_station bus_stop bus_station subway_station gas_station
    railroad_track train_track train_yard air_port city_street city_sidewalk street_corner side_street country_road
    dirt_road dirt_path gravel_road grass_field corn_field forest_field flower_garden flower_bed water_fountain
    water_park theme_park amusement_park dog_park city_park national/JJ_park zoo_enclosure zoo_exhibit horse_pen
    petting_zoo fair_ground race_track office_building apartment_building office_desk hotel_bathroom bathroom_stall
    bathroom_floor kitchen_floor visitor_center shopping/NN_center shopping/NN_mall farmer_market food_court
    furniture_store grocery_store toy_store book_store coffee_shop barber_shop pizza_parlor mountain_top hill_side
    hill_top snow_bank river_bank sand_dune work_station play_ground side_walk cross_walk traffic_circle
    conference_room court_yard back_yard front_yard
""".split()

BODY_PARTS = """
    hand head face hair arm leg foot mouth nose ear eye tongue tail back neck shoulder lap beak paw trunk wing body
    belly horn finger chest knee side beard mustache mane
""".split()

MATERIALS = """
    wood brick stone metal plastic glass paper cement concrete leather marble wicker iron steel tile
""".split()
PARTS_OF_THINGS = """
    top side edge corner leg door handle lid cover cushion drawer stand holder base frame rim bottom screen shelf seat
""".split()
ROOMS_AND_USES = """
    kitchen bathroom bedroom office living/NN_room hotel garden patio street city park bus train airport computer
    restaurant beach dog cat bird baby water pizza wine coffee tea toilet baseball tennis ski snow school sports
    birthday wedding christmas party market farm family
""".split()
NAMES = """
    Frisbee Nintendo Wii Apple London Paris Chinese Japanese Thai German American British Asian Italian African Sony
    Canon Delta Ford Honda Yankees Christmas Halloween Santa Easter Coke Pepsi Microsoft Boston Chicago York Disney
""".split()
"""Words that captions write with a capital, or without."""

ADJECTIVES = """
    black white red blue green yellow brown orange pink purple gray grey tan gold silver beige large small big little
    tall young old older elderly wooden metal colorful long short busy empty grassy snowy sandy rocky dirty clean
    bright dark wet dry open closed full half different beautiful modern antique vintage plastic glass furry fluffy
    cute wild round square striped leafy fresh crowded huge giant tiny thin thick wide narrow pretty nice lovely fancy
    plain simple elegant ornate rustic old-fashioned empty single lone double triple female male adult asian muddy
    sunny cloudy rainy foggy clear calm rough choppy lush dusty steep flat hilly public private commercial electric
    digital miniature toy model fake real raw ripe rotten hot cold frozen warm sweet delicious tasty healthy
    vegetarian happy sad tired sleepy hungry angry playful curious lonely blonde bald bearded shirtless barefoot
    masked blurry shiny rusty broken shabby messy cluttered tidy cozy spacious bare ripe creamy chocolate cheesy
    greasy crispy stainless floral plaid checkered spotted patterned decorative artistic historic ancient gothic
    medieval tropical snow-covered tree-lined well-lit black-and-white close-up half-eaten freshly-baked double-decker
    two-story multi-colored brightly-colored hand-held three-tiered red-headed dark-haired long-haired grass-covered
    full-size laden tree_lined/VBN snow_covered/VBN cement_covered/VBN coin_operated/VBN hard_boiled/VBN medium_sized
    ghost_like snow_capped/VBN nice_looking/VBG odd_looking/VBG well_made/VBN well_lit/VBN rock_covered/VBN
    multi_colored/VBN half_eaten/VBN half_full brick_paved/VBN glass_enclosed/VBN hand_made/VBN wood_paneled/VBN
    different_colored/VBN same other main entire whole upper lower front back left right top bottom
""".split()
PARTICIPLES_BEFORE_A_NOUN = """
    smiling/VBG sleeping/VBG running/VBG moving/VBG flying/VBG standing/VBG rolling/VBG crashing/VBG waiting/VBG
    laughing/VBG crying/VBG growing/VBG passing/VBG oncoming/VBG floating/VBG hanging/VBG matching/VBG winding/VBG
    setting/VBG grazing/VBG towering/VBG cooking/VBG breaking/VBG surrounding/VBG traveling/VBG traveling/VBG
    parked/VBN stuffed/VBN sliced/VBN fried/VBN grilled/VBN covered/VBN tiled/VBN painted/VBN cooked/VBN decorated/VBN
    chopped/VBN baked/VBN roasted/VBN broken/VBN fenced/VBN paved/VBN carved/VBN crowded/VBN cluttered/VBN lit/VBN
    melted/VBN mixed/VBN opened/VBN lighted/VBN unmade/JJ cut/VBN peeled/VBN dressed/VBN framed/VBN stacked/VBN
    assorted/JJ colored/VBN folded/VBN abandoned/VBN worn/VBN deserted/VBN forested/JJ carpeted/JJ tiered/JJ
""".split()
ADVERBS_OF_DEGREE = """
    very really brightly dimly freshly well neatly extremely heavily partially newly poorly
""".split()
QUANTIFIERS = ["several", "many", "various", "multiple", "numerous", "other", "few"]
NUMBERS = """
    two two two two three three three four five six seven eight nine ten twelve twenty 2 3 4 5 6 7 10 12
""".split()

COLLECTIONS = """
    group herd flock pair bunch row line stack pile crowd couple couple couple set team variety collection number
    family lot lot lot lot bunch fleet pack bundle cluster assortment array selection display series gathering swarm
    string range mix mixture
""".split()
PORTIONS = """
    plate bowl glass cup slice piece box basket vase bottle tray bag can bite stick loaf pot jar pitcher half order
    platter mug pan serving bucket dish cart container plate bowl slice piece body patch sheet
""".split()
PICTURES = """
    picture photo image view photograph painting drawing shot portrait close_up close_up close_up closeup scene video
    screenshot cartoon aerial/JJ_view close/JJ_up close_up_view close_up_photo side_view top_view street_view
    street_scene reflection
""".split()
SIDES = ["back", "side", "top", "front", "bottom", "end", "corner", "edge", "inside", "face", "rest", "head", "tip"]
KINDS = ["kind", "type", "sort", "piece", "style", "variety"]

PREPOSITIONS = (
    ["in", "on"] * 28 + ["with"] * 14 + ["near", "at"] * 8 + ["behind", "under", "by", "beside", "over"] * 4
    + """
    through along across around against above inside outside between into from down past for beneath onto underneath
    atop amongst without toward towards up off among below beyond during alongside via like
""".split()
)  # fmt: skip
PREPOSITION_CHAINS = """
    next/RB_to next/RB_to next/RB_to next/RB_to close/RB_to right/RB_next/RB_to out/IN_of outside/IN_of inside/IN_of
    away/RB_from down/RB_from across/IN_from in_between up/RB_against off_of up/RB_on over_by in_front_of in_front_of
    in_front_of on_top_of on_top_of on_top_of
""".split()
PREPOSITION_NOUNS = """
    in/middle on/side in/back at/top on/edge at/end along/side in/center on/front at/corner in/front on/back at/side
    from/back in/corner on/end by/side at/bottom in/shape on/hood on/top
""".split()
TIMES = """
    at_night at_dusk at_sunset during_the_day at_dawn in_winter in_autumn on_leash in_mid_air in_flight
""".split()

TRANSITIVE_VERBS = """
    ride hold wear eat throw catch hit play carry pull push watch use cut drive fly read brush feed pet swing kick
    walk make hug lead cross prepare enjoy drink chase paddle jump display show face herd slice take touch lick smell
    chew open fix load have do get serve pour wash clean paint cook bake stir grab pick toss bite sniff examine
    inspect photograph film kiss help teach greet meet shear milk groom bat pitch return approach follow pass enter
    leave board tow haul unload pack check hang decorate blow light share sell buy try perform balance grind ride
    catch share observe overlook line fill hold assemble operate repair flip spray depict feature support overlook
    chop have hold wear ride ride hold have eat stack sip surf ski raise lift swat scratch admire guide block park
    cover
""".split()
INTRANSITIVE_VERBS = """
    sit stand sit stand sit stand walk lie lay run sleep play swim fly ski surf skateboard snowboard graze jump look
    rest wait travel ride drive hang pose smile lean move float wade gather perch stare roam sail work talk cook skate
    land climb kneel crouch peek eat bend slide head dance laugh relax nap bathe drink march race glide hover stretch
    reach squat cuddle snuggle huddle play dine shop wander stroll pass stop fall turn race skate sled kayak feed chat
    study serve practice compete pull cross drift swing hike watch watch rub peck perform mill plan exercise skip doze
    reflect pull roll rise set shine bloom grow sit stand lay
""".split()
PARTICLES = ["up", "down", "around", "over", "off", "out", "away", "up", "down"]
PARTICLE_VERBS = """
    sit stand lie lay look wind line set cut pick put take hang gather set hold blow pull show lean get
""".split()
AIMS = """
    try prepare get_ready wait go attempt start begin about be_about stop plan look be_ready want
""".split()

PASSIVES = {
    "in on near by at beside behind": "park",
    "with": "fill fill lade top decorate load equip line garnish stuff adorn pack pair",
    "in with by": "cover surround", "of from": "make", "in": "dress drench wrap soak bathe clothe enclose reflect",
    "at on in around": "seat gather", "on in": "display stack place pile hang set stack mount perch scatter show",
    "to": "attach tie chain hook hitch connect strap", "into on in": "cut slice arrange", "from in through": "take see",
    "along across on": "line dock lead spread", "by with": "accompany carry pull drive ride surround light",
    "against on": "lean pile stack crush", "for with": "set decorate use dress",
}  # fmt: skip
"""Prepositions that may follow -> verbs of which a caption uses the participle alone ("parked near", "filled with")."""

ADVERBS = """
    together outside outdoors indoors alone nearby inside around upright sideways downhill upstairs away
""".split()
ADVERBS_BEFORE_A_VERB = """
    happily carefully quietly closely gently just all both currently proudly peacefully
""".split()
PREDICATES = """
    open closed empty full ready alone asleep visible awake dirty clean large small white black red yellow green brown
    blue wet dark old tall happy tired busy cute bare sunny cloudy colorful
""".split()
